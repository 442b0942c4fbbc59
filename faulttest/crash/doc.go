// Package crash kills nodes at every point of a refresh. Its tests need the
// failpoints of coordinator/failpoint:
//
//	go test -tags failpoint ./faulttest/crash
package crash
