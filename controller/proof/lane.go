package proof

import "time"

// lane lets one switch after another through, and rests after each: so that all who go by it take no more than a part of
// the time.
type lane struct {
	free chan struct{} // holds one while somebody works, or the lane rests
	rest int           // how many times as long as the work
}

// The rests. What is in doubt takes half of one processor at most, so that all hosts of a large cluster are proved soon after
// a start; what nothing asks for a two-hundredth, so that a
// large cluster at rest costs next to nothing. Its hosts are proved whole less often then.
const (
	restDoubted = 1
	restRegular = 199
)

func newLane(rest int) lane { return lane{free: make(chan struct{}, 1), rest: rest} }

// leave has the lane rest after work that took so long.
func (l lane) leave(worked time.Duration) {
	time.AfterFunc(time.Duration(l.rest)*worked, func() { <-l.free })
}
