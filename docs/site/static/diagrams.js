// Draws the diagrams, in the colours that the reader has chosen; again when they choose others.
(() => {
  const chosen = () => {
    const theme = document.body.dataset.theme;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    return theme === "dark" || theme === "light" ? theme : system;
  };
  const drawings = [...document.querySelectorAll("pre.mermaid")];
  const texts = drawings.map((drawing) => drawing.textContent);
  const draw = async () => {
    mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      theme: chosen() === "dark" ? "dark" : "neutral",
    });
    drawings.forEach((drawing, number) => {
      drawing.removeAttribute("data-processed");
      drawing.textContent = texts[number];
    });
    await mermaid.run({ nodes: drawings });
  };
  draw();
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
