"""The Flower edge at the centre: SuperLink, thin bundle and round driver."""
