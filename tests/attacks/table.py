"""The attack table: every check of verification broken singly.

The Director's, the link's and publishing's checks have tests beside those components.
"""

from tests.attacks import delegation_rows, ecu_rows, image_rows, metadata_rows
from tests.attacks.row import Row

ROWS: tuple[Row, ...] = (*metadata_rows.rows(), *delegation_rows.rows(), *image_rows.rows(), *ecu_rows.rows())
