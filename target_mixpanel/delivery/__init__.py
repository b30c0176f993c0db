"""Rows → Mixpanel; knows HTTP, not Singer, and reports through two callbacks."""
