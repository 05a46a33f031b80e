package session

import (
	"context"
	"fmt"
	"time"

	"sluice/controller/cluster"
	"sluice/datapath"
	"sluice/store"
)

const (
	// answerTime bounds the wait for etcd where there is a claim to go on by: a switch that was
	// restarted has no flows, and each packet of its containers is lost meanwhile.
	answerTime = time.Second
	// askTime is between two questions to an etcd that did not answer.
	askTime = time.Second
)

// stands reports whether this controller's last claim stands as far as the picture tells: etcd
// confirmed it, and has shown no other since.
func (s *session) stands() (yes bool) {
	own, latest := s.host.Generations()
	s.srv.Picture.View(func(state *store.State) {
		yes = own != 0 && own == latest && !cluster.IsAnothers(state, s.srv.Controller, s.host.Name)
	})
	return yes
}

// mayProgram reports whether this controller programs the host: by the claim that the picture
// shows, or by its last known state.
func (s *session) mayProgram() bool { return s.isMaster() || s.host.GoesOn() && s.stands() }

// goOn makes this controller the switch's master by its last claim; why is what etcd answered. The
// switch decides whether somebody took it over: it knows the highest generation of all masters.
// One that was restarted has forgotten it. Should it take this controller then, though another
// has claimed the host since, that one is demoted, and claims it anew with a generation above both.
func (s *session) goOn(ctx context.Context, why error) error {
	own, _ := s.host.Generations()
	_, generation, err := s.sw.Role(ctx)
	if err != nil {
		return fmt.Errorf("host %s: ask the switch for its role: %w", s.host.Name, err)
	}
	if generation > own {
		if err := s.becomeSlave(ctx); err != nil {
			return err
		}
		return fmt.Errorf("host %s: another controller took its switch over with generation %d, while etcd cannot be asked: %w", s.host.Name, generation, why)
	}
	if err := s.sw.Become(ctx, datapath.RoleMaster, own); err != nil {
		return fmt.Errorf("host %s: become master again with generation %d: %w", s.host.Name, own, err)
	}
	if !s.host.GoesOn() {
		s.log.Warn("etcd cannot be asked: the host is programmed by its last known state", "generation", own, "err", why)
	}
	s.host.GoOn()
	s.srv.Reports.Poke()
	return nil
}

// etcdAnswers is closed once etcd answers, where the host is programmed by its last known state;
// nil where it is not.
func (s *session) etcdAnswers(ctx context.Context) <-chan struct{} {
	if !s.host.GoesOn() {
		return nil
	}
	answers := make(chan struct{})
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(askTime):
			}
			if _, _, err := s.srv.Store.Get(ctx, store.MasterKey(s.host.Name)); err == nil {
				close(answers)
				return
			}
		}
	}()
	return answers
}
