package store

import "time"

// KindInvitation is {id}.
const KindInvitation Kind = "invitations"

// InvitationKey is the key of an invitation.
func InvitationKey(id string) Key { return Key{Kind: KindInvitation, Name: id} }

// Invitation lets whoever has its secret join once under one name. It is deleted in the
// transaction that lets them in.
type Invitation struct {
	Host       string    `json:"host"`
	SecretHash string    `json:"secretHash"` // SHA-256 in hexadecimal; the secret is with who was invited
	Expires    time.Time `json:"expires"`
	By         string    `json:"by,omitempty"` // who made it, for people
}

// Kind is KindInvitation.
func (*Invitation) Kind() Kind { return KindInvitation }

var invitationKind = &description[string, Invitation, *Invitation]{facts: facts{
	label:  "invitation",
	parts:  []part{partName},
	writer: "controllers", reader: "controllers",
}}
