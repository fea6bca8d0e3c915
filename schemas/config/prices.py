"""The schema of a price override in a config file. A price override is a price that users set for a model."""

from typing import Any

from marshmallow import post_load

from governance.domain.config import hashes
from governance.domain.config.entries import WantedPrice, price_id
from schemas.fields import ReadOnly
from schemas.pricing.bodies import NewPrice, PriceCreate


class FilePrice(PriceCreate):
    """A price override, with the fields of the body of `POST /prices`."""

    config_hash = ReadOnly()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> WantedPrice:
        """Build the override from the loaded entry. Raises ValidationError if its fields contradict each other."""
        new: NewPrice = super().make(data)
        own_id = new.id or price_id(new.draft)
        return WantedPrice("", own_id, new.draft, hashes.of_price(new.id, new.draft))
