package exercises

import (
	"context"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Answers is one answer to each exercise. Mine returns the reader's.
type Answers struct {
	Deposit       func(a *Account, token string, amount int64)
	SameMessageID func() map[Way]Reply
	Fingerprint   func(t Transfer, version int) (idem.Fingerprint, bool)
	Process       func(ctx context.Context, s Steps, req Request) (answer string, err error)
	WhoKnew       func() map[Moment]idem.Source
	Token         func(m payment.Message, o order.Order) idem.Key
	AfterCrash    func() map[Crash]Told
	Act           func(v idem.Verdict) Action
	GroupCommit   func() (transactions, requests int)
	Metrics       func() map[Question]string
}

// Exercise is one of them. Check returns what is wrong with an answer.
type Exercise struct {
	Number int
	Title  string
	Check  func(Answers) error
}

// All returns the exercises in the order of the guide's chapters.
func All() []Exercise {
	return []Exercise{
		{1, "handle a delivery that comes again", checkDeposit},
		{2, "tell how a message repeats", checkSameMessageID},
		{3, "digest what is asked for", checkFingerprint},
		{4, "put the writes in order", checkProcess},
		{5, "predict who knew", checkWhoKnew},
		{6, "choose the token", checkToken},
		{7, "predict what follows a crash", checkAfterCrash},
		{8, "act on a verdict", checkAct},
		{9, "count the transactions", checkGroupCommit},
		{10, "find the metric", checkMetrics},
	}
}

// Account is what exercise 1 adds to. Seen is for you to use.
type Account struct {
	Balance int64
	Seen    map[string]bool
}

// Way is how a message comes to repeat.
type Way string

// The four ways of chapter 2.
const (
	SendTime    Way = "the broker's answer to a send is lost"
	ConsumeTime Way = "the consumer's acknowledgement is lost"
	Rebalance   Way = "the queue gets a new owner"
	Application Way = "the application sends the request again"
)

// Reply is an answer to a question. Its zero value is none.
type Reply uint8

// The replies.
const (
	Yes Reply = iota + 1
	No
)

// Transfer is the request of exercise 3. An application that sends it again changes when it was
// sent, and by which trace that can be followed, and nothing else.
type Transfer struct {
	From, To string
	Minor    int64
	SentAt   time.Time
	TraceID  string
}

// Request is a delivery whose answer is its payload.
type Request = idem.Request[string]

// Record is what is kept of it.
type Record = idem.Record[string]

// Steps are what exercise 4 puts in order: the cache and the database of one consumer.
type Steps struct {
	Cache idem.Cache[string]
	Store idem.Store[string, string]
}

// Moment is a delivery of exercise 5, in the order in which they happen.
type Moment string

// The moments. All but the last are deliveries of one request.
const (
	FirstDelivery  Moment = "the first delivery"
	SecondDelivery Moment = "the same again"
	AfterExpiry    Moment = "again, after the cache was emptied"
	AfterThat      Moment = "and again"
	LostRace       Moment = "another consumer commits between step 2 and step 3"
)

// Crash is where a consumer ends in exercise 7.
type Crash string

// The crashes.
const (
	BeforeCommit Crash = "before the commit"
	AnswerLost   Crash = "in the commit, which has happened, with its answer lost"
	BeforePut    Crash = "before the cache write"
	BeforeAck    Crash = "before the acknowledgement"
)

// Told is what a delivery is told, and by whom.
type Told struct {
	Verdict idem.Verdict
	By      idem.Source
}

// Action is what a listener does with a delivery.
type Action struct {
	SetAside    bool // store the message in quarantine
	Answer      bool // tell the caller
	Acknowledge bool
}

// Question is what an operator asks at night.
type Question string

// The questions of exercise 10.
const (
	Repeats   Question = "do many repeats reach us, and who notices them?"
	Late      Question = "how long do orders wait until they are decided?"
	Amortised Question = "how many requests share one transaction? (the sum)"
	CacheAway Question = "has the cache been given up?"
	Aside     Question = "are there messages that a person must look at?"
)
