"""The command `upnet`: its help, and the call of a subcommand, whose module is imported only then."""

import sys
from collections.abc import Sequence
from importlib import import_module

from upnet.cli.startup import OK, USER_ERROR, run_command
from upnet.utils.errors import did_you_mean
from upnet.utils.provenance import VERSION

COMMANDS = {
    "train": ("upnet.cli.train", "train a network from a config, or run a study across operators"),
    "evaluate": ("upnet.cli.dispatch", "evaluate checkpoints, upscale images, export weights, report on a study"),
    "study": ("upnet.cli.study", "the optimum of linear upsampling, and diagnostics of a checkpoint"),
    "data": ("upnet.cli.data", "list, download and audit data sets"),
    "operators": ("upnet.cli.operators", "print what each upsampling operator computes, or draw it"),
}
"""Subcommand -> its module, whose `main(argv)` returns the exit code, and its line in the help."""

_HELP = f"""\
upnet {VERSION}: train image super-resolution networks with any upsampling operator, and compare the operators.

usage: upnet COMMAND …

{{commands}}

  upnet train                            the default: a U-Net, ×2; minutes on two CPU cores, no download
  upnet train model/upsampler=carafe     another operator
  upnet evaluate checkpoint=PATH         PSNR and SSIM of a checkpoint
  upnet COMMAND --help                   the options and settings of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code.

    argv: the arguments after the program's name; None reads `sys.argv`.

    Exit codes: 0 success; 1 a run failed; 2 a setting or a file is wrong; 130, 143 and 138 after Ctrl-C, SIGTERM and
    SIGUSR1.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return run_command(lambda: _run(arguments))


def _run(argv: list[str]) -> int:
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        print(_HELP.format(commands="\n".join(f"  {key:{width}}  {line}" for key, (_, line) in COMMANDS.items())))
        return OK
    if "--version" in argv[:2]:
        print(f"upnet {VERSION}")
        return OK
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS) or f"Commands: {', '.join(COMMANDS)}"
        print(f"upnet: unknown command {name}. {hint}", file=sys.stderr)
        return USER_ERROR
    module, _ = COMMANDS[name]
    return import_module(module).main(rest)
