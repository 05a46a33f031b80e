package signal

import "testing"

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestBroadcastWakesAllWhoWaitedBefore(t *testing.T) {
	var b Broadcast
	zero := b.Wait()
	b.Send()
	if !closed(zero) {
		t.Error("who waited before the first of all was not woken")
	}
	b.Send() // nobody waits
	one, two := b.Wait(), b.Wait()
	if closed(one) || closed(two) {
		t.Fatal("somebody was woken by what was sent before")
	}
	b.Send()
	if !closed(one) || !closed(two) {
		t.Error("not everybody was woken")
	}
	if closed(b.Wait()) {
		t.Error("who waits afterwards was woken")
	}
}

func TestFlagWakesOnce(t *testing.T) {
	f := NewFlag()
	if closed(f) {
		t.Fatal("a new flag is set")
	}
	f.Set()
	f.Set()
	if !closed(f) || closed(f) {
		t.Error("a flag that was set twice does not wake exactly once")
	}
}
