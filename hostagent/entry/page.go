package entry

import (
	"fmt"
	"html"
	"net/http"
)

// page answers with a page of the entry's own. It names no tenant, and nothing of the cluster.
func page(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	fmt.Fprintf(w, pageText, title, title, html.EscapeString(text))
}

const pageText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%s</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34em;padding:0 1em}</style></head>
<body><main><h1>%s</h1><p>%s</p></main></body></html>
`

// What pages say.
const (
	textUnknown = "Nothing is published here."
	textPath    = "This address has a path that means different things to different programs."
	textMethod  = "This method is not carried."
	textDown    = "What is published here does not answer now. It may be starting, or have stopped."
	textBroken  = "What is published here gave an answer that is no HTTP."
	textBusy    = "Too many requests for this are under way."
	textLogin   = "Whether you may see this cannot be asked now."
)
