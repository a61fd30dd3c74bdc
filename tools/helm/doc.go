// Package helm checks the Helm chart in packaging/helm: its tests render it by Helm's own engine and
// decode what comes out as the types of Kubernetes. It is a module of its own, so that nothing else
// depends on Helm.
package helm
