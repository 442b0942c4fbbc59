package client

import "testing"

func TestAParameterIsSetAndTheOthersStayAsTheyAreWritten(t *testing.T) {
	for query, want := range map[string]string{
		"":                                    "access_token=a%2Bb",
		"b=2&a=%2f&c":                         "b=2&a=%2f&c&access_token=a%2Bb",
		"access_token=x&a=1&access%5Ftoken=y": "a=1&access_token=a%2Bb",
		"&&a=1&%zz=1":                         "a=1&%zz=1&access_token=a%2Bb",
	} {
		if got := withParameter(query, "access_token", "a+b"); got != want {
			t.Errorf("%q becomes %q, want %q", query, got, want)
		}
	}
}
