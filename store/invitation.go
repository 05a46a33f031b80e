package store

import (
	"crypto/subtle"
	"fmt"
	"iter"
	"time"
)

// KindInvitation is {id}.
const KindInvitation Kind = "invitations"

// InvitationKey is the key of an invitation.
func InvitationKey(id string) Key { return Key{Kind: KindInvitation, Name: id} }

// Invitation lets whoever has its secret enrol once, as one host. It is deleted in the transaction
// that enrols the host.
type Invitation struct {
	Host       string    `json:"host"`
	SecretHash string    `json:"secretHash"` // SHA-256 in hexadecimal; the secret is with who was invited
	Expires    time.Time `json:"expires"`
	By         string    `json:"by,omitempty"` // who made it, for people
}

// Kind is KindInvitation.
func (*Invitation) Kind() Kind { return KindInvitation }

var invitationKind = &description[string, Invitation, *Invitation]{
	facts: facts{
		label:  "invitation",
		parts:  []part{partName},
		writer: "controllers", reader: "controllers",
	},
	table: func(s *State) *table[string, Invitation] { return &s.invited },
	id:    func(k Key) string { return k.Name },
}

// Invitation is the one with an id, or nil.
func (s *State) Invitation(id string) *Item[Invitation] { return s.invited.items[id] }

// Invitations walks all invitations, sorted by id.
func (s *State) Invitations() iter.Seq[*Item[Invitation]] { return sorted(&s.invited) }

// ProposeInvitation invites a host. anew says that one that is enrolled may be replaced: its
// certificate is not believed any more once another has joined. The state needs the host's enrolment.
func ProposeInvitation(s *State, id string, i Invitation, anew bool) (Proposal, error) {
	if err := ValidateName(i.Host); err != nil {
		return Proposal{}, fmt.Errorf("%w: host: %w", ErrInvalid, err)
	}
	if s.Enrolment(i.Host) != nil && !anew {
		return Proposal{}, fmt.Errorf("%w: a machine is enrolled under this name: if another one takes its place, say --anew: its certificate is not believed any more then", ErrExists)
	}
	return Proposal{
		Writes:   []Event{{Key: InvitationKey(id), Object: &i}},
		Presumes: []Presumption{{Condition: Absent, Path: InvitationKey(id).String()}},
	}, nil
}

// errNotInvited does not say what is wrong: whoever guesses learns nothing.
var errNotInvited = fmt.Errorf("%w: the token was used, has expired, or is of another cluster: ask for another by `sluice host invite`", ErrNotAllowed)

// Invited is the invitation that a secret belongs to, by its hash, if it can be used at a time.
func (s *State) Invited(id, secretHash string, now time.Time) (*Item[Invitation], error) {
	i := s.Invitation(id)
	if i == nil || subtle.ConstantTimeCompare([]byte(i.Value.SecretHash), []byte(secretHash)) != 1 || !now.Before(i.Value.Expires) {
		return nil, errNotInvited
	}
	return i, nil
}

// ProposeAdmission enrols a host without an invitation. One that is enrolled stays as it is.
func ProposeAdmission(s *State, host string, e Enrolment) (Proposal, error) {
	if s.Enrolment(host) != nil {
		return Proposal{}, fmt.Errorf("%w: a machine is enrolled under this name", ErrExists)
	}
	key := EnrolmentKey(host)
	return Proposal{Writes: []Event{{Key: key, Object: &e}}, Presumes: []Presumption{{Condition: Absent, Path: key.String()}}}, nil
}

// ProposeEnrolment enrols the host that an invitation is for, and uses the invitation up.
func ProposeEnrolment(s *State, id, secretHash string, e Enrolment) (Proposal, error) {
	i, err := s.Invited(id, secretHash, e.Since)
	if err != nil {
		return Proposal{}, err
	}
	e.By = i.Value.By
	p := ProposeRemoval(Event{Key: i.Key, Object: i.Value, Created: i.Created, Modified: i.Modified})
	p.Writes = append(p.Writes, Event{Key: EnrolmentKey(i.Value.Host), Object: &e})
	return p, nil
}
