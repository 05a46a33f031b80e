// Package manifest is what people declare of a cluster in a file: tenants, with their networks, publications, peerings, gateway
// policy, limits and hosts. From a manifest and a State it works out the steps that make the one of the
// other; a step is a request like any other, decided from a State and written in one transaction.
//
// What a manifest does not name is left alone, and what it leaves out of an object is that object's
// default. It removes nothing but what is named apart. The package is pure: it reads no file, and
// whoever runs the steps draws the values and commits.
package manifest
