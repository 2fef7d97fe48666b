-- What the consumer's own database user may do; {{user}} is filled in by payment-consumer migrate.
-- It appends payments and entries and can never change or delete one. Locking an account needs
-- the UPDATE right. Writing many balances in one statement (INSERT ... ON DUPLICATE KEY UPDATE)
-- needs INSERT on the columns it names, and on MariaDB UPDATE on all of them; opening_minor is
-- not among them: money enters the ledger by another hand. What is in quarantine is evidence: the
-- message stays as it came, only what was found wrong with it and where it stands may change.

-- MariaDB would create a user that is not there, without a password. MySQL does not know the mode
-- that forbids it, never creates one, and takes the piece between the marks for a comment.
SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, '' /*M! ',NO_AUTO_CREATE_USER' */);

GRANT SELECT, INSERT ON payments TO {{user}};
GRANT SELECT, INSERT ON ledger_entries TO {{user}};
GRANT SELECT, INSERT (account_id, currency, balance_minor),
  UPDATE (account_id, currency, balance_minor) ON accounts TO {{user}};
GRANT SELECT, INSERT,
  UPDATE (kind, reason, detail, serial_no, state, deliveries, last_seen_at, resolved_at)
  ON quarantine TO {{user}};
GRANT SELECT ON ledger_epoch TO {{user}};
GRANT SELECT, UPDATE (passed) ON read_barrier TO {{user}};
GRANT SELECT ON schema_migrations TO {{user}};

-- The audit counts what was archived.
GRANT SELECT ON ledger_entries_archive TO {{user}};
GRANT SELECT ON quarantine_archive TO {{user}};
