// Package manifestfile reads a manifest as people write it, in YAML or JSON, and writes it so. It stands apart from the
// manifest's types, so that whoever sends one to the API needs no library for YAML.
package manifestfile
