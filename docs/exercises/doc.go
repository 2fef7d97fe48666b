// Package exercises holds the exercises of docs/guide.md, one for each chapter. Answers go into
// answers.go, and
//
//	make exercise N=3     # checks one
//	make exercise         # checks all
//
// says what is still wrong. A check takes no prediction on trust that it can compute: it runs the
// project's own guard over the fakes of package idemtest, and compares.
//
// As they are kept here the exercises are unsolved, and package solution solves them. An ordinary
// test sees to both: a check that passes what is unsolved would teach nothing. So that test fails
// while answers.go is solved, and git restore docs/exercises/answers.go mends that.
package exercises
