def test_a_day_in_the_life_of_a_reservation(api, clock, governance):
    api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}], rate_limits=[{"request_max_limit": 3, "request_reset_duration": "1m"}])
    r = api.post("reservations", {"model": "openai/GPT-4o", "cost": 0.4, "tokens": 10})
    assert r.status_code == 200, r.text
    print(r.text)
    rid = r.get_json()["reservation"]["id"]
    assert api.post("reservations", {"model": "gpt-4o", "cost": 0.7}).status_code == 402
    r = api.post(f"reservations/{rid}/settle", {"cost": 0.9})
    print(r.text)
    assert r.status_code == 200
    r = api.post("reservations", {"model": "gpt-4o", "cost": 0.2})
    print(r.text, r.headers)
    r = api.post("check", {"model": "gpt-4o", "cost": 0.2})
    print(r.text)
    r = api.post("usage", {"model": "gpt-4o", "cost": 0.2, "requests": 5})
    print(r.text)
    r = api.post("reservations", {"model": "gpt-4o", "cost": 0.2})
    print(r.text, r.headers)
    print(api.get("reservations").text)
    print(governance.verification.verify())
    governance.poller.poll()
    clock.advance(9 * 24 * 3600)
    governance.poller.poll()
    print(governance.verification.verify())
    print(api.get("reservations").text)
    assert api.list()==api.list(memory=True)
