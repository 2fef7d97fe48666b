-- Back to where they came from: without its entries the ledger would not add up.
INSERT INTO ledger_entries (serial_no, account_id, amount_minor, created_at)
SELECT serial_no, account_id, amount_minor, created_at FROM ledger_entries_archive;
DROP TABLE ledger_entries_archive;
DROP TABLE quarantine_archive;
