"""`python -m cloud` is the `cloud` command."""

from cloud.cli.main import main

main()
