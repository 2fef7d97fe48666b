-- The ledger. Every rule that the database can keep, it keeps: the program is only one of the
-- things that will write here over the years.
--
-- Identifiers are ascii_bin: under a case-insensitive collation PAY_1 and pay_1 would be one
-- payment. There are no foreign keys: each would cost a lookup and a shared lock per row inside
-- the hottest transaction, the accounts are locked and read there anyway, and the audit
-- (payment-consumer audit) checks the same relations over the whole table.

CREATE TABLE accounts (
  account_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency      CHAR(3)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- The application's user may not write this column, so it cannot create money.
  opening_minor BIGINT      NOT NULL DEFAULT 0,
  balance_minor BIGINT      NOT NULL DEFAULT 0,
  closed        TINYINT     NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id),
  -- No overdraft, whatever the program thinks it has checked.
  CONSTRAINT ck_accounts_balance CHECK (balance_minor >= 0),
  CONSTRAINT ck_accounts_opening CHECK (opening_minor >= 0),
  CONSTRAINT ck_accounts_closed  CHECK (closed IN (0, 1))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- One row per decided request, inserted once with its final status and never changed.
CREATE TABLE payments (
  -- The idempotency token. This key is what makes a payment happen once.
  serial_no     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  order_id      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- The order ID again if this row paid the order, else NULL: unique, so that an order is paid
  -- at most once, under whatever serial.
  paid_order_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  payer         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payee         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount_minor  BIGINT      NOT NULL,
  currency      CHAR(3)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  -- The serial that paid the order, if this one came second.
  first_serial  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  fingerprint         BINARY(32) NOT NULL,
  fingerprint_version SMALLINT   NOT NULL,
  created_at    DATETIME(6) NOT NULL,
  PRIMARY KEY (serial_no),
  CONSTRAINT uq_payments_paid_order UNIQUE (paid_order_id),
  KEY ix_payments_order (order_id),
  CONSTRAINT ck_payments_amount CHECK (amount_minor > 0),
  CONSTRAINT ck_payments_status CHECK (status IN ('paid', 'declined', 'duplicate')),
  CONSTRAINT ck_payments_paid_order CHECK (
    (status = 'paid' AND paid_order_id IS NOT NULL AND paid_order_id = order_id)
    OR (status <> 'paid' AND paid_order_id IS NULL)),
  CONSTRAINT ck_payments_first_serial CHECK (
    (status = 'duplicate') = (first_serial IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Double entry: a payment moves one amount from the payer (negative) to the payee (positive).
CREATE TABLE ledger_entries (
  serial_no    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  account_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount_minor BIGINT      NOT NULL,
  created_at   DATETIME(6) NOT NULL,
  PRIMARY KEY (serial_no, account_id),
  KEY ix_ledger_entries_account (account_id),
  CONSTRAINT ck_ledger_entries_amount CHECK (amount_minor <> 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- One random value. Cached answers carry it; replacing it turns all of them into misses.
CREATE TABLE ledger_epoch (
  id          TINYINT     NOT NULL,
  epoch       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  replaced_at DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT ck_ledger_epoch_single CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

INSERT INTO ledger_epoch (id, epoch, replaced_at)
VALUES (1, REPLACE(UUID(), '-', ''), UTC_TIMESTAMP(6));
