"""Nothing in the tests reaches for the network or the home folder."""

import os
import tempfile
from pathlib import Path

_SCRATCH = Path(tempfile.mkdtemp(prefix="sid-tests-"))
os.environ.update(
    HF_HUB_OFFLINE="1",
    DO_NOT_TRACK="1",
    PREFECT_HOME=str(_SCRATCH / "prefect"),
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    SID_REVIEWER="tester",
)
os.environ.pop("SID_WORKSPACE", None)
os.environ.pop("SID_CATALOG_URL", None)
