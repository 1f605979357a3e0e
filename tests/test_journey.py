"""The main job: every user flow, end to end."""


def test_a_visitor_can_sign_in(browser):
    browser.sign_in()

    assert browser.page.status_code == 200
    assert "Welcome, Ada" in browser.text
    assert browser.page.url == f"{browser.app_url}/"
