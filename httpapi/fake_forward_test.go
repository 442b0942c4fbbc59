package httpapi

import "freshet/coordinator"

func (f *fakeNode) Injection(app string) (coordinator.Injection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	injection, ok := f.injections[app]
	if !ok {
		return coordinator.Injection{}, coordinator.ErrUnknownApp
	}
	return injection, nil
}
