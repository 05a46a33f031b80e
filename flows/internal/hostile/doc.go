// Package hostile edits flow tables at random, for tests: as somebody would who wants a frame to cross from one
// tenant to another, to escape, or to lie about where it comes from (Edit), and as somebody who tidies up and
// changes nothing that a frame could tell (Rewrite).
//
// Not every hostile edit does harm: another flow may hide it. What it does a judge says, who runs frames
// through the tables. An edit is the same whenever it is drawn from the same seed. Nothing of the product imports
// this package.
package hostile
