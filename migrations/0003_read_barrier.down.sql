DROP TABLE read_barrier;
