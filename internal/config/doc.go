// Package config reads the settings of both programs. It is the only package that knows viper.
//
// A program's settings are one table: for each setting a key, a default, a sentence for the
// reader, a parser that says what it accepts, and the Go field that receives the value.
// Everything else is derived from the table: the flags, the variables, the help text, the
// commented file in configs/ and the checks. So none of them can disagree with another.
//
// # Where a value comes from
//
// Flag before environment before file before default. A setting named mysql.address is
//
//	--mysql-address            as a flag
//	PAYMENT_MYSQL_ADDRESS      as a variable
//	mysql:                     in the file
//	  address: 127.0.0.1:3306
//
// A variable that is set but empty counts as not set, since that is what shells and compose
// files make of a value that they do not have.
//
// # Units
//
// A number that has a unit has it at the end of its name: _ms, _seconds or _minor (the smallest
// unit of a currency). The value is then a whole number and nothing else, in every source alike:
// "5" in read_timeout_seconds can only mean one thing, and a text such as "5m" (minutes? milli?)
// has no place to be misread. In Go the same setting is a time.Duration.
//
// # Secrets
//
// A secret is never a flag, which every user of the machine can read, and never in the file,
// which ends in a repository. It is a variable, or the content of a file that the setting with
// the same name and _file names; that file must not be readable by everybody. A Secret prints as
// "[redacted]" whichever way it is printed.
//
// # What is refused
//
// Unknown keys in the file and unknown variables that begin with PAYMENT_, each with the nearest
// known name; keys given twice, also when they differ only in case, which viper would merge
// without a word; values out of range; a required secret that is missing. All problems are
// reported together, one line each.
//
// Both programs are run from one environment, so each accepts the variables of the other.
// Variables that begin with PAYMENT_TEST_ or PAYMENT_LAB_ belong to the tests and to the lab.
package config
