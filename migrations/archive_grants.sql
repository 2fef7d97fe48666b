-- What the archive's own database user may do; {{user}} is filled in by payment-consumer migrate. It
-- is the only user that may delete, and it may not touch a payment or a balance. What it has put into
-- the archive it cannot change or take out again. Locking rows needs a right beyond SELECT; DELETE is one.

SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, '' /*M! ',NO_AUTO_CREATE_USER' */);

GRANT SELECT, DELETE ON ledger_entries TO {{user}};
GRANT SELECT, INSERT ON ledger_entries_archive TO {{user}};
GRANT SELECT, DELETE ON quarantine TO {{user}};
GRANT SELECT, INSERT ON quarantine_archive TO {{user}};
GRANT SELECT ON ledger_epoch TO {{user}};
GRANT SELECT ON schema_migrations TO {{user}};
