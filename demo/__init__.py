"""The made-up town that Kizashi can be looked at with. No part of a production process."""
