package store

// Kinds by which a host's agent asks the operator for a word, and is told it.
const (
	KindRequest  Kind = "requests"  // {host}
	KindWord     Kind = "words"     // {host}
	KindFarewell Kind = "farewells" // {host}
)

// RequestKey is the key of what a host's agent asks for.
func RequestKey(host string) Key { return Key{Kind: KindRequest, Host: host} }

// WordKey is the key of the operator's word to a host's agent.
func WordKey(host string) Key { return Key{Kind: KindWord, Host: host} }

// FarewellKey is the key that tells a host's agent that the operator deleted its host.
func FarewellKey(host string) Key { return Key{Kind: KindFarewell, Host: host} }

// Request says what a host's agent does not do by itself, since it cannot be put back. It is
// under a lease: an agent that ended asks for nothing.
type Request struct {
	ID string `json:"id"` // random for each request: a Word answers one, once
	// Held says why the agent holds: this is not the store that it serves. Empty: it serves it.
	Held string `json:"held,omitempty"`
	// Leaves is the id of the store that it serves, and would leave.
	Leaves string `json:"leaves,omitempty"`
	// Offered are ports that the host has and this store lacks: their interfaces stay as they are.
	Offered []Offer `json:"offered,omitempty"`
	// Strays are interfaces of no port that anyone knows, too many to be removed without a word.
	Strays []string `json:"strays,omitempty"`
}

// Offer is a port that its host has and the store lacks.
type Offer struct {
	Tenant    string   `json:"tenant"`
	Network   string   `json:"network"`
	Name      string   `json:"name"`
	Interface string   `json:"interface"`
	Addresses []string `json:"addresses,omitempty"`
	Problem   string   `json:"problem,omitempty"` // why it could not be taken back
}

// Words of the operator.
const (
	WordAdopt = "adopt" // this store is the right one; take the offered ports into it
	WordClean = "clean" // remove what belongs to no port
)

// Word is the operator's answer to one Request. Its host's agent deletes it when it has heard it.
type Word struct {
	Word    string `json:"word"`
	Request string `json:"request"` // its ID
}

// Farewell says that the operator deleted a host, and which registration that was: an agent
// that finds its own cleans up. That its key is absent tells it nothing.
type Farewell struct {
	Incarnation string   `json:"incarnation"`
	Created     Revision `json:"created"` // of the registration
}

// Kind is KindRequest.
func (*Request) Kind() Kind { return KindRequest }

// Kind is KindWord.
func (*Word) Kind() Kind { return KindWord }

// Kind is KindFarewell.
func (*Farewell) Kind() Kind { return KindFarewell }

var requestKind = &description[string, Request, *Request]{
	facts: facts{
		label:  "request of a host",
		parts:  []part{partHost},
		writer: "the host's agent, under a lease", reader: "controllers, the host's agent",
		hostReads: ownObjects, hostWrites: ownObjects,
	},
	table: func(s *State) *table[string, Request] { return &s.requests },
	id:    func(k Key) string { return k.Host },
}

var wordKind = &description[string, Word, *Word]{facts: facts{
	label:  "word to a host",
	parts:  []part{partHost},
	writer: "the API; the host's agent deletes it", reader: "the host's agent",
	hostReads: ownObjects, hostWrites: ownObjects,
}}

var farewellKind = &description[string, Farewell, *Farewell]{facts: facts{
	label:  "farewell to a host",
	parts:  []part{partHost},
	writer: "the API; the host's agent deletes it", reader: "the host's agent",
	hostReads: ownObjects, hostWrites: ownObjects,
}}

// Request is what a host's agent asks for, or nil.
func (s *State) Request(host string) *Item[Request] { return s.requests.items[host] }
