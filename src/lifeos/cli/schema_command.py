"""``lifeos schema``: the JSON Schema of a policy file or of an output."""

from __future__ import annotations

import json as json_module
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from lifeos.cli.frame import Json, frame_of, progress
from lifeos.errors import Exit, UsageError

OUTPUTS = {
    "init": "init_command:InitData",
    "tick": "tick_command:TickData",
    "ci-attempt": "ci_command:CiAttemptData",
    "ci-check": "ci_command:CiCheckData",
    "ci-collect": "ci_command:CiCollectData",
    "improve": "improve_command:ImproveData",
    "digest": "digest_command:DigestData",
    "notice": "digest_command:Notice",
    "metrics": "metrics_command:MetricsData",
    "log": "log_command:LogData",
    "show": "passage:RunData",
    "show-attempt": "passage:AttemptData",
    "show-item": "passage:ItemData",
    "show-transition": "log_command:Transition",
    "artifact": "show_command:ArtifactData",
    "report": "report_command:ReportData",
    "why": "why_command:WhyData",
    "verify": "verify_command:VerifyData",
    "backtest": "backtest_command:BackTestData",
    "export": "export_command:ExportData",
    "import": "import_command:ImportData",
    "redact": "redact_command:RedactData",
    "validate": "validate_command:ValidateData",
    "doctor": "doctor_command:DoctorData",
    "demo": "demo_command:DemoData",
    "status": "status_command:StatusData",
    "board": "board_command:BoardData",
    "next": "next_command:NextData",
    "queue": "queue_command:QueueData",
    "item": "queue_command:ItemData",
    "backlog": "backlog_command:BacklogData",
    "backlog-add": "backlog_command:AddData",
    "backlog-fmt": "backlog_command:FmtData",
    "cancel": "cancel_command:CancelData",
    "retry": "retry_command:RetryData",
    "stop": "stop_command:StopData",
    "resume": "resume_command:ResumeData",
    "revert": "revert_command:RevertData",
    "approve": "answering:AnswerData",
    "revise": "answering:AnswerData",
    "reject": "answering:AnswerData",
}
"""Every output that --json can print, what a command gets of `notify:`, and the models behind."""


def command(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A policy file (loop, council ...) or an output (log, show ...).")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write those of the rules where editors look for them.")
    ] = False,
    json: Json = False,  # noqa: ARG001  (a schema is JSON already; the option is accepted everywhere)
) -> int:
    """Print the JSON Schema of a policy file or of an output; without a name, list the names.

    `--write` puts those of the policy files into `.git/lifeos/schema`: their first lines name them,
    so that an editor with the YAML language server completes and checks as you type.
    """
    from lifeos.governance import SCHEMAS, schema

    if write:
        if name:
            raise UsageError("--write writes all of them", "lifeos schema --write")
        from lifeos.cli.schema_files import write_schemas

        with frame_of(context).repo() as repo:
            progress(f"wrote {write_schemas(repo)}")
        return Exit.OK
    if not name:
        sys.stdout.write(f"files:   {' '.join(SCHEMAS)}\noutputs: {' '.join(sorted(OUTPUTS))}\n")
        return Exit.OK
    if name in SCHEMAS:
        value = schema(name)
    elif name in OUTPUTS:
        value = output_schema(name)
    else:
        known = f"{', '.join(SCHEMAS)}; {', '.join(sorted(OUTPUTS))}"
        raise UsageError(f"there is no schema called {name[:80]!r}", f"known are: {known}")
    sys.stdout.write(json_module.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return Exit.OK


def output_schema(name: str) -> dict[str, Any]:  # Any: a JSON Schema has no narrower type
    """The JSON Schema of what ``lifeos ... --json`` prints. Raises KeyError for no output."""
    module, _, model = OUTPUTS[name].partition(":")
    data = getattr(import_module(f"lifeos.cli.{module}"), model)
    inner = data.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = inner.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"lifeos/{name}/v1",
        "type": "object",
        "properties": {"schema": {"const": f"lifeos.{name}/v1"}, "data": inner},
        "required": ["schema", "data"],
        "additionalProperties": False,
        "$defs": definitions,
    }
