// Package crash kills nodes at every point of a refresh. Its tests need the
// failpoints of coordinator/failpoint:
//
//	go test -tags failpoint -parallel 8 ./faulttest/crash
package crash
