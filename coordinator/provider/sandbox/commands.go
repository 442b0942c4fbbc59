package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// commandRoutes are the sandbox's own, under names no platform uses.
func (s *Sandbox) commandRoutes() []route {
	return []route{
		{"GET /_faults", "lists the faults in force", s.listFaults},
		{"POST /_faults", "adds a fault", command(s.addFault)},
		{"DELETE /_faults", "clears faults (?app=, or all)", s.clearFaults},
		{"POST /_kill", "kills a value at once", command(s.killToken)},
		{"POST /_mint", "mints a plain token as a foreign system would", command(s.mintForeign)},
		{"POST /_confirm", "answers a confirmation as the administrator", command(s.confirmAddress)},
		{"GET /_apps", "lists the apps, without secrets", s.listApps},
		{"POST /_apps", "creates or changes an app", command(s.changeApp)},
		{"GET /_clients", "lists the OAuth clients, without secrets", s.listClients},
		{"POST /_clients", "creates or changes an OAuth client", command(s.changeClient)},
		{"POST /_grant", "a user consents: answers a refresh token", command(s.giveGrant)},
		{"POST /_revoke", "a user takes it back", command(s.takeGrant)},
		{"GET /_oracle", "what really happened; ?value= asks whether one value lives", s.showOracle},
	}
}

// command makes a handler of a function that obeys a JSON body or says what is
// wrong with it.
func command(obey func(body []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		result, err := obey(body)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, result)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller left; there is nobody to tell
}

func (s *Sandbox) listFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Faults())
}

func (s *Sandbox) addFault(body []byte) (any, error) {
	var f Fault
	if err := decodeStrict(body, &f); err != nil {
		return nil, err
	}
	return f, s.AddFault(f)
}

func (s *Sandbox) clearFaults(w http.ResponseWriter, r *http.Request) {
	s.ClearFaults(r.URL.Query().Get("app"))
	s.listFaults(w, r)
}

func (s *Sandbox) killToken(body []byte) (any, error) {
	var order struct {
		AppID  string `json:"appid"`
		Line   Line   `json:"line"`
		Value  string `json:"value"`
		Expire bool   `json:"expire"`
	}
	if err := decodeStrict(body, &order); err != nil {
		return nil, err
	}
	values := []string{order.Value}
	if order.Value == "" {
		var err error
		if values, err = s.wechat.current(order.AppID, order.Line); err != nil {
			return nil, err
		}
	}
	killed := 0
	for _, value := range values {
		if s.wechat.end(value, order.Expire) || s.oauth.end(value) {
			killed++
		}
	}
	return map[string]int{"killed": killed}, nil
}

func (s *Sandbox) mintForeign(body []byte) (any, error) {
	var order struct {
		AppID string `json:"appid"`
	}
	if err := decodeStrict(body, &order); err != nil {
		return nil, err
	}
	value, err := s.Mint(order.AppID)
	if err != nil {
		return nil, err
	}
	return map[string]string{"digest": digest(value)}, nil
}

func (s *Sandbox) confirmAddress(body []byte) (any, error) {
	var order struct {
		AppID   string `json:"appid"`
		IP      string `json:"ip"`
		Approve bool   `json:"approve"`
	}
	if err := decodeStrict(body, &order); err != nil {
		return nil, err
	}
	return order, s.Confirm(order.AppID, order.IP, order.Approve)
}

func (s *Sandbox) listApps(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.wechat.apps())
}

// changeApp decodes over the app as it is, so that absent fields stay.
func (s *Sandbox) changeApp(body []byte) (any, error) {
	var named struct {
		AppID string `json:"appid"`
	}
	if err := json.Unmarshal(body, &named); err != nil {
		return nil, err
	}
	if named.AppID == "" {
		return nil, errors.New("app: say which appid")
	}
	var changed App
	err := s.UpdateApp(named.AppID, func(app *App) error {
		err := decodeStrict(body, app)
		changed = *app
		return err
	})
	changed.Secret = ""
	return changed, err
}

func (s *Sandbox) showOracle(w http.ResponseWriter, r *http.Request) {
	value := r.URL.Query().Get("value")
	if value == "" {
		writeJSON(w, http.StatusOK, s.Oracle())
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"live": s.Alive(value), "digest": digest(value)})
}
