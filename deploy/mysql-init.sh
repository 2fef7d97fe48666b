#!/bin/sh
# Makes the users of the database. The image of MySQL runs this once, in an empty volume, after
# it has set root's password and made the database; it may run the file or only read it, so the
# file works both ways and changes nothing of the shell that reads it.
#
# payment_migrate owns the schema and passes rights on. payment_app gets none here: payment-consumer
# migrate grants what the consumer needs, to the tables once they are there, and to payment_archive what
# payment-consumer archive needs.
MYSQL_PWD="$(cat /run/secrets/mysql-root)" mysql --protocol=socket --user=root <<SQL
CREATE USER 'payment_migrate'@'%' IDENTIFIED BY '$(cat /run/secrets/mysql-migrate)';
CREATE USER 'payment_app'@'%' IDENTIFIED BY '$(cat /run/secrets/mysql-app)';
CREATE USER 'payment_archive'@'%' IDENTIFIED BY '$(cat /run/secrets/mysql-archive)';
GRANT ALL ON \`payment\`.* TO 'payment_migrate'@'%' WITH GRANT OPTION;
SQL
