"""The attack table: every row of the Standard's verification, and of Marque's own rules, broken singly."""

from tests.attacks import delegation_rows, ecu_rows, image_rows, metadata_rows
from tests.attacks.row import Row

ROWS: tuple[Row, ...] = (*metadata_rows.rows(), *delegation_rows.rows(), *image_rows.rows(), *ecu_rows.rows())
