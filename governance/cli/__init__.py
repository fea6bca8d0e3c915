"""`flask governance …`: what an operator does in a terminal. Thin, like `web/`: load, act, show.

Exit codes: 0 done or nothing to do; 1 a fault, said on standard error; 2 (`--dry-run`) something would change.
"""

from flask.cli import AppGroup

from governance.cli.verify import verify

commands = AppGroup("governance", help="Model limits: what an operator does in a terminal.")

for command in (verify,):
    commands.add_command(command)
