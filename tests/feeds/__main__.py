"""`python -m tests.feeds SEED [VENUE [LANES]]`: play one random history again (play.py)."""

from __future__ import annotations

import sys

from ops import cache

cache.use()

from tests.feeds.play import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
