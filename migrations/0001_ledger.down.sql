DROP TABLE ledger_epoch;
DROP TABLE ledger_entries;
DROP TABLE payments;
DROP TABLE accounts;
