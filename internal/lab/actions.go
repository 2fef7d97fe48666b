package lab

// Action is something that a page can ask for. Its name, what will happen and why are in the
// catalogue, under act.ID.name and act.ID.what.
type Action struct {
	ID    string
	Group string // where its button stands; empty for those that have none
	// Exclusive actions change what runs, and no two of them run at once.
	Exclusive bool
	// Anew begins a new ledger: what is under way is called off, as nothing will answer it any
	// more, and nothing else begins meanwhile. Only servers are stopped and started to the end.
	Anew bool
	// Single actions do not run twice at once: their numbers would be those of both.
	Single bool
	// Needs are the servers without which it could only wait. One that waits would keep the
	// button away that starts the server.
	Needs string
	// Serial says that it is about one serial number, and can be asked for from its story.
	Serial bool
}

// The actions.
const (
	ActSend      = "send"
	ActAgain     = "again"
	ActLost      = "lost-answer"
	ActAltered   = "altered"
	ActMalformed = "malformed"
	ActOverdraft = "overdraft"
	ActBurst     = "burst"
	ActReplay    = "replay"

	ActKill   = "kill"
	ActAdd    = "add"
	ActRemove = "remove"
	ActRace   = "race"
	ActCut    = "cut-commit"

	ActFlush       = "flush"
	ActStopRedis   = "stop-redis"
	ActStartRedis  = "start-redis"
	ActStopMySQL   = "stop-mysql"
	ActStartMySQL  = "start-mysql"
	ActStopBroker  = "stop-broker"
	ActStartBroker = "start-broker"

	ActRight     = "order-right"
	ActCacheWas  = "order-cache-first"
	ActCheckAct  = "order-check-then-act"
	ActMessageID = "order-message-id"

	ActQuarantineReplay  = "quarantine-replay"
	ActQuarantineDiscard = "quarantine-discard"
)

// bars says whether an action that is under way keeps another one from beginning.
func (a Action) bars(next Action) bool {
	switch {
	case a.Anew, a.Single && a.ID == next.ID:
		return true
	case next.Anew:
		return a.Exclusive && a.Group == groupServers
	}
	return a.Exclusive && next.Exclusive
}

// What actions need.
const (
	needRedis = "redis"
	needPaid  = "broker mysql"
	needAll   = "broker mysql redis"
)

// Groups are where buttons stand, in their order on the page.
func Groups() []string { return []string{"messages", "consumers", groupServers, "wrong"} }

const groupServers = "servers"

// Actions are all that there are, in their order on the page.
func Actions() []Action {
	return []Action{
		{ID: ActSend, Group: "messages"},
		{ID: ActAgain, Group: "messages", Serial: true},
		{ID: ActLost, Group: "messages"},
		{ID: ActAltered, Group: "messages", Serial: true},
		{ID: ActOverdraft, Group: "messages"},
		{ID: ActMalformed, Group: "messages"},
		{ID: ActBurst, Group: "messages", Single: true},
		{ID: ActReplay, Group: "messages", Exclusive: true, Needs: needPaid},

		{ID: ActKill, Group: "consumers", Exclusive: true, Needs: needPaid},
		{ID: ActAdd, Group: "consumers", Exclusive: true, Needs: needPaid},
		{ID: ActRemove, Group: "consumers", Exclusive: true, Needs: needPaid},
		{ID: ActRace, Group: "consumers", Exclusive: true, Needs: needPaid},
		{ID: ActCut, Group: "consumers", Exclusive: true, Needs: needPaid},

		{ID: ActFlush, Group: groupServers, Needs: needRedis},
		{ID: ActStopRedis, Group: groupServers, Exclusive: true},
		{ID: ActStartRedis, Group: groupServers, Exclusive: true},
		{ID: ActStopMySQL, Group: groupServers, Exclusive: true},
		{ID: ActStartMySQL, Group: groupServers, Exclusive: true},
		{ID: ActStopBroker, Group: groupServers, Exclusive: true},
		{ID: ActStartBroker, Group: groupServers, Exclusive: true},

		{ID: ActCacheWas, Group: "wrong", Exclusive: true, Anew: true, Needs: needAll},
		{ID: ActCheckAct, Group: "wrong", Exclusive: true, Anew: true, Needs: needAll},
		{ID: ActMessageID, Group: "wrong", Exclusive: true, Anew: true, Needs: needAll},
		{ID: ActRight, Group: "wrong", Exclusive: true, Anew: true, Needs: needAll},

		{ID: ActQuarantineReplay},
		{ID: ActQuarantineDiscard},
	}
}

// Stop is a stop of the guided tour, with the actions that it asks the visitor to try. Its title
// and text are in the catalogue, under tour.ID.title and tour.ID.text.
type Stop struct {
	ID  string
	Try []string
}

// Tour is the way that a newcomer is led.
func Tour() []Stop {
	return []Stop{
		{ID: "idempotence", Try: []string{ActSend}},
		{ID: "sendtime", Try: []string{ActLost}},
		{ID: "consumetime", Try: []string{ActKill}},
		{ID: "rebalance", Try: []string{ActAdd}},
		{ID: "token", Try: []string{ActAgain, ActAltered}},
		{ID: "uniqueness", Try: []string{ActRace}},
		{ID: "step1", Try: []string{ActAgain}},
		{ID: "step2", Try: []string{ActFlush, ActAgain}},
		{ID: "step3", Try: []string{ActCut}},
		{ID: "messageid", Try: []string{ActMessageID, ActSend, ActAgain, ActRight}},
		{ID: "wrong", Try: []string{ActCacheWas, ActCut, ActCheckAct, ActRace, ActRight}},
	}
}
