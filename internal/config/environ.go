package config

import (
	"cmp"
	"regexp"
	"strings"
)

// readEnviron fills l.env, and reports variables with our prefix that nobody reads: viper asks
// only for the names that it knows and so never sees a typo.
func (l *loader) readEnviron() {
	l.env = map[string]string{}
	mine := variables(l.table)
	others := variables(l.otherTable)
	for _, entry := range l.in.Environ {
		name, value, _ := strings.Cut(entry, "=")
		key, known := mine[name]
		switch {
		case known && value != "":
			l.env[key] = value
		case known, !strings.HasPrefix(strings.ToUpper(name), prefix), foreign(name, value):
		case others[name] == "":
			l.unknownVariable(name, mine, others)
		}
	}
}

// variables maps the variables of a table to its keys.
func variables(table []setting) map[string]string {
	all := make(map[string]string, len(table))
	for _, s := range table {
		all[s.variable()] = s.key
	}
	return all
}

// foreign tells variables that have our prefix and are set by somebody else: the tests, the lab,
// and Kubernetes, which describes a service called payment-consumer to every container of its
// namespace in variables like PAYMENT_CONSUMER_SERVICE_HOST. Only the value tells its
// PAYMENT_MYSQL_PORT from a guess at our settings.
func foreign(name, value string) bool {
	if strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://") {
		return true
	}
	return strings.HasPrefix(name, prefix+"TEST_") || strings.HasPrefix(name, prefix+"LAB_") ||
		regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|`+
			`_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`).MatchString(name)
}

// unknownVariable reports a name, and never the value: it may be a misspelt secret.
func (l *loader) unknownVariable(name string, tables ...map[string]string) {
	var known []string
	for _, table := range tables {
		for variable := range table {
			known = append(known, variable)
		}
	}
	section, _, _ := strings.Cut(plain(name), "_")
	l.problem("unknown variable %s in the environment%s", quoted(name),
		cmp.Or(suggest(name, known), contents(l.table, section)))
}
