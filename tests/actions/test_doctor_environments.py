"""`lifeos doctor` asks the forge for the environments that the workflow takes its secrets from."""

from __future__ import annotations

from test_doctor_forge import Place, forge, place, text

__all__ = ["forge", "place"]  # fixtures


def test_an_environment_that_is_not_there_is_named(place: Place) -> None:
    """With the secrets that the jobs would not find, and where to make it."""
    keyed = 'providers: {one: {url: "https://models.example.org/v1", key_env: MODEL_KEY}}'
    place.set("\nproviders: {}\n", f"\n{keyed}\n")
    _, lines = place.doctor()
    assert "no environment lifeos-models: the workflow finds no MODEL_KEY" in text(lines, "secrets")
    place.fake.state.environments = {"lifeos-models": ("main",)}
    _, lines = place.doctor()
    assert "lifeos-models (main)" in text(lines, "secrets")
    assert "no environment" not in text(lines, "secrets")
