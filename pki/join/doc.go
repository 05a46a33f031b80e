// Package join is how a machine becomes a host of a cluster with one token, and how it and others
// get their next certificate later.
//
// A Token names the controllers' API, the authority by a hash of its certificate, and a secret that is
// good once. The machine makes its key, fetches the authority's certificate from the API and compares
// it with the hash: from then on it knows whom it speaks to, and only then shows the secret. The answer
// is a certificate and what the cluster is: where etcd, controllers and the API are, which is kept
// beside the certificate for the next start.
//
// The package has what both ends share: the token, what travels, and the side of who asks. Whom an
// authority signs for is decided in package controller/enrol.
package join
