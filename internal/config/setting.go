package config

import (
	"strings"
)

// prefix begins the name of every variable.
const prefix = "PAYMENT_"

// fileSuffix ends the key of the setting that names a secret's file.
const fileSuffix = "_file"

// Part names a part of the program that a command uses. A setting without which a part cannot
// work is required only by the commands that use the part, so that `migrate` does not ask for
// the keys of the cache.
type Part string

// The parts that have required settings.
const (
	NeedMySQL   Part = "mysql"
	NeedMigrate Part = "migrate"
	NeedCache   Part = "cache"
	NeedArchive Part = "archive"
)

// setting is one row of a program's table.
type setting struct {
	key      string // section.name
	def      string // as it would be written in the file
	doc      string // what it is and when to change it, in sentences
	accepts  string // completes "give ..."
	everyday bool   // shown among the flags of --help
	secret   bool
	list     bool // may be a list in the file
	// secretDoc is the doc of the secret whose file this setting names, if it does.
	secretDoc string
	need      Part // the part that cannot work without it, if any
	assign    func(raw string) bool
}

// parser turns what was written into a value; ok is false for what it does not accept.
type parser[T any] struct {
	accepts string
	parse   func(raw string) (value T, ok bool)
}

// bind makes the row that fills one field.
func bind[T any](to *T, key, def string, p parser[T], doc string) setting {
	return setting{key: key, def: def, doc: doc, accepts: p.accepts,
		assign: func(raw string) bool {
			value, ok := p.parse(raw)
			if ok {
				*to = value
			}
			return ok
		}}
}

// bindSecret makes the row of a secret. The row of its file is added by withFiles.
func bindSecret(to *Secret, key string, need Part, p parser[Secret], doc string) setting {
	s := bind(to, key, "", p, doc)
	s.secret, s.need = true, need
	return s
}

// shown marks a setting whose flag is listed by --help; the others work and are not listed,
// since a list of all of them teaches nothing.
func shown(s setting) setting {
	s.everyday = true
	return s
}

// listed marks a setting that may be written as a list in the file.
func listed(s setting) setting {
	s.list = true
	return s
}

// withFiles adds, after each secret, the setting that names its file. Its value is used while
// loading and has no field.
func withFiles(table []setting) []setting {
	all := make([]setting, 0, len(table)+len(table)/4)
	for _, s := range table {
		all = append(all, s)
		if s.secret {
			all = append(all, setting{
				key: s.key + fileSuffix, accepts: "the path of a file, or nothing",
				secretDoc: s.doc,
				doc: "A file that holds " + s.key + " and nothing else; not readable by " +
					"everybody (chmod 600).",
				assign: func(string) bool { return true },
			})
		}
	}
	return all
}

func (s setting) variable() string { return variableOf(s.key) }

func variableOf(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (s setting) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

// named is how messages name a setting, so that it is found in the file and in the environment.
func named(key string) string { return key + " (" + variableOf(key) + ")" }

func (s setting) section() string {
	section, _, _ := strings.Cut(s.key, ".")
	return section
}

func (s setting) name() string {
	_, name, _ := strings.Cut(s.key, ".")
	return name
}
