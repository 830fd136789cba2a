/* A program that is over before anybody could look at it. */
int main(void)
{
	return 0;
}
