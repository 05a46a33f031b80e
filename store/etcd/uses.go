package etcd

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"sluice/store"
)

// shownUsers is how many of its users a refusal names.
const shownUsers = 3

// freeUses frees what is taken in an object by others that are not there, where these alone stand
// against its delete. Else it returns why the object is in use, by those that are there: refused, where
// it finds none.
func (c *Client) freeUses(ctx context.Context, key store.Key, refused error) error {
	freed := 0
	for _, use := range store.UsesOf(key) {
		if err := c.inUse(ctx, use); err != nil {
			return err
		}
		for _, path := range use.Taken {
			strays, err := c.allocsUnder(ctx, path)
			if err != nil {
				return err
			}
			done, err := c.FreeStrays(ctx, strays)
			if err != nil {
				return err
			}
			freed += len(done)
		}
	}
	if freed == 0 {
		return refused
	}
	c.log.Warn("freed what was taken by objects that are not there", "object", key.Short(), "count", freed)
	return nil
}

// inUse refuses for those objects with names in another that are there.
func (c *Client) inUse(ctx context.Context, use store.Use) error {
	named, err := c.allocsUnder(ctx, use.Names)
	if err != nil {
		return err
	}
	base, users := parentOf(use.Names), []string{}
	for len(named) > 0 {
		part := named[:min(len(named), maxMendings)]
		owners, err := c.objects(ctx, part)
		if err != nil {
			return err
		}
		for _, a := range part {
			if e, exists := objectIn(owners[a.Owner]); exists && store.Takes(e, a.Path) {
				users = append(users, strings.TrimPrefix(a.Path, base))
			}
		}
		named = named[len(part):]
	}
	if len(users) == 0 {
		return nil
	}
	shown := users[:min(len(users), shownUsers)]
	return use.Refusal(shown, int64(len(users)-len(shown)))
}

// parentOf is the directory of alloc/ that a path is in.
func parentOf(path string) string {
	all := store.Under(store.KindAlloc)
	dir, _, _ := strings.Cut(strings.TrimPrefix(path, all), "/")
	return all + dir + "/"
}

// allocsUnder are all keys under a path of alloc/.
func (c *Client) allocsUnder(ctx context.Context, path string) (list []AllocKey, err error) {
	_, err = c.list(ctx, listing{under: []string{path}}, func(kv *mvccpb.KeyValue) error {
		list = append(list, allocKey(kv))
		return nil
	})
	return list, err
}
