-- One row that consumers write to before they answer from what they have read. InnoDB shows a
-- commit to everybody before it is on the disk, and a crash in between takes back what others have
-- seen. But it writes commits in their order: once a commit of one's own is on the disk, so is
-- everything that could be seen before it.
CREATE TABLE read_barrier (
  id     TINYINT NOT NULL,
  passed BIGINT  NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  CONSTRAINT ck_read_barrier_single CHECK (id = 1)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

INSERT INTO read_barrier (id) VALUES (1);
