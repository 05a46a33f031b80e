package flows

// AccountTables are the tables whose flows count: a poll reads these and no others.
func AccountTables() []uint8 {
	var ids []uint8
	for _, t := range Tables() {
		if t.Name == "account" || t.Name == "drop" {
			ids = append(ids, t.ID)
		}
	}
	return ids
}
