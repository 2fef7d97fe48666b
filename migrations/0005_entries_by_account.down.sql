ALTER TABLE ledger_entries
  DROP PRIMARY KEY, ADD PRIMARY KEY (serial_no, account_id),
  ADD KEY ix_ledger_entries_account (account_id);
ALTER TABLE ledger_entries_archive
  DROP PRIMARY KEY, ADD PRIMARY KEY (serial_no, account_id),
  ADD KEY ix_ledger_entries_archive_account (account_id);
