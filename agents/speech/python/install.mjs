// placeholder until the speech helper lands
